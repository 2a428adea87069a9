-- Hudi x Iceberg x Lance: well rated live items that the new model has not embedded.
SELECT i.item_id, i.title, i.length_s, count(*) AS ratings, sum(r.stars) AS stars
FROM ratings r JOIN items i ON r.item_id = i.item_id JOIN item_embeddings e ON e.item_id = i.item_id
WHERE i.status = 'live' AND e.model = 'vv-embed-1'
GROUP BY i.item_id, i.title, i.length_s
HAVING count(*) >= 4
ORDER BY stars DESC, ratings DESC, i.item_id
LIMIT 10;
