-- Paimon x Delta: of the accounts that signed up in the week, how many have watched anything, and for how long?
SELECT u.signup_date, count(DISTINCT u.user_id) AS users, count(DISTINCT p.user_id) AS watched, coalesce(sum(p.watch_ms), 0) AS watch_ms
FROM users u LEFT JOIN impressions p ON p.user_id = u.user_id
WHERE u.signup_date >= DATE '2026-11-16'
GROUP BY u.signup_date
ORDER BY u.signup_date;
