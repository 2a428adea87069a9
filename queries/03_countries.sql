-- Paimon x Delta: active viewers, views and likes by the viewer's country.
SELECT u.country, count(DISTINCT p.user_id) AS viewers, count(*) AS views, sum(CASE WHEN p.liked THEN 1 ELSE 0 END) AS likes
FROM impressions p JOIN users u ON p.user_id = u.user_id
GROUP BY u.country
ORDER BY views DESC, u.country;
