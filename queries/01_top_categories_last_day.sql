-- Iceberg x Delta: which categories were watched most on the last day?
SELECT i.category, count(*) AS views, sum(p.watch_ms) AS watch_ms
FROM impressions p JOIN items i ON p.item_id = i.item_id
WHERE p.day = DATE '2026-11-20'
GROUP BY i.category
ORDER BY watch_ms DESC, i.category
LIMIT 5;
