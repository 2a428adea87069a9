-- Delta x Iceberg: views per day of items that moderation has removed since.
SELECT p.day, count(*) AS views, count(DISTINCT p.item_id) AS items, sum(p.watch_ms) AS watch_ms
FROM impressions p LEFT JOIN items i ON p.item_id = i.item_id
WHERE i.item_id IS NULL
GROUP BY p.day
ORDER BY p.day;
