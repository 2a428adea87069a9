-- Lance x Iceberg: which embedding model covers which category?
SELECT i.category, e.model, count(*) AS items
FROM item_embeddings e JOIN items i ON e.item_id = i.item_id
GROUP BY i.category, e.model
ORDER BY i.category, e.model;
