-- Delta (position renamed to slot on day 4) x Iceberg: does the place in the feed matter?
SELECT CASE WHEN p.slot <= 3 THEN '01-03' WHEN p.slot <= 10 THEN '04-10' ELSE '11-30' END AS place, i.status, count(*) AS views, sum(p.watch_ms) AS watch_ms
FROM impressions p JOIN items i ON p.item_id = i.item_id
GROUP BY CASE WHEN p.slot <= 3 THEN '01-03' WHEN p.slot <= 10 THEN '04-10' ELSE '11-30' END, i.status
ORDER BY place, i.status;
