-- Paimon x Iceberg x Delta: the ten creators with the most watch time over the five days.
SELECT u.handle, u.country, count(DISTINCT i.item_id) AS items, sum(p.watch_ms) AS watch_ms
FROM items i JOIN users u ON i.creator_id = u.user_id JOIN impressions p ON p.item_id = i.item_id
GROUP BY u.handle, u.country
ORDER BY watch_ms DESC, u.handle
LIMIT 10;
