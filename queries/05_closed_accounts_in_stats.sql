-- Paimon x Paimon: counters that outlived their account (user_stats keeps them, users does not).
SELECT count(*) AS accounts, sum(s.watch_ms) AS watch_ms, sum(s.likes) AS likes
FROM user_stats s LEFT JOIN users u ON s.user_id = u.user_id
WHERE u.user_id IS NULL;
