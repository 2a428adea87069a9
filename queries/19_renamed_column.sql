-- Delta, column mapping: "position" became "slot" on day 4, and no file was written again for it. Each version answers to its own name.
SELECT past.position AS place, count(*) AS views, sum(CASE WHEN now.slot = past.position THEN 1 ELSE 0 END) AS same_slot
FROM impressions VERSION AS OF 7 AS past
JOIN impressions AS now ON now.impression_id = past.impression_id
WHERE past.position <= 5
GROUP BY past.position
ORDER BY place;
