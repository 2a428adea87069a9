-- All five formats: for each creator with a rated, embedded item: views, stars and the newest viewer counter.
SELECT u.user_id, u.handle, count(DISTINCT i.item_id) AS items, sum(p.views) AS views, sum(r.stars) AS stars, count(DISTINCT e.model) AS models
FROM users u
JOIN items i ON i.creator_id = u.user_id
JOIN item_embeddings e ON e.item_id = i.item_id
JOIN (SELECT item_id, count(*) AS views FROM impressions GROUP BY item_id) p ON p.item_id = i.item_id
JOIN (SELECT item_id, sum(stars) AS stars FROM ratings GROUP BY item_id) r ON r.item_id = i.item_id
GROUP BY u.user_id, u.handle
ORDER BY stars DESC, u.user_id
LIMIT 8;
