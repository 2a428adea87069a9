-- Paimon (column added on day 3) x Delta: viewers by language; older rows have none.
SELECT coalesce(u.language, 'unknown') AS language, count(DISTINCT u.user_id) AS users, count(p.impression_id) AS views
FROM users u LEFT JOIN impressions p ON p.user_id = u.user_id
GROUP BY coalesce(u.language, 'unknown')
ORDER BY users DESC, language;
