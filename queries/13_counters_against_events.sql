-- Paimon x Delta: do the streaming counters agree with the events? They must, but for likes that were taken from bots.
SELECT count(*) AS users, sum(CASE WHEN s.watch_ms = p.watch_ms THEN 1 ELSE 0 END) AS same_watch_ms, sum(s.likes - p.likes) AS likes_taken_back
FROM user_stats s
JOIN (SELECT user_id, sum(watch_ms) AS watch_ms, sum(CASE WHEN liked THEN 1 ELSE 0 END) AS likes FROM impressions GROUP BY user_id) p ON s.user_id = p.user_id;
