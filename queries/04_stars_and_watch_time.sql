-- Iceberg x Hudi x Delta: do people rate high what they watch long?
SELECT i.category, r.ratings, r.stars, w.views, w.watch_ms
FROM (SELECT DISTINCT category FROM items) i
JOIN (SELECT i.category, count(*) AS ratings, sum(r.stars) AS stars FROM ratings r JOIN items i ON r.item_id = i.item_id GROUP BY i.category) r ON r.category = i.category
JOIN (SELECT i.category, count(*) AS views, sum(p.watch_ms) AS watch_ms FROM impressions p JOIN items i ON p.item_id = i.item_id GROUP BY i.category) w ON w.category = i.category
ORDER BY i.category;
