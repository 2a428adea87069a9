-- Delta joined with its own past: of the likes that day 2 wrote, which are gone now, and why? Bots' likes are taken back, closed accounts' rows deleted.
SELECT past.day, CASE WHEN now.impression_id IS NULL THEN 'row deleted' ELSE 'like taken back' END AS why, count(*) AS likes
FROM impressions VERSION AS OF 2 AS past
LEFT JOIN impressions AS now ON now.impression_id = past.impression_id
WHERE past.liked AND (now.impression_id IS NULL OR NOT now.liked)
GROUP BY past.day, CASE WHEN now.impression_id IS NULL THEN 'row deleted' ELSE 'like taken back' END
ORDER BY past.day, why;
