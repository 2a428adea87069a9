-- Delta: views, viewers, likes and watch time of each day.
SELECT day, count(*) AS views, count(DISTINCT user_id) AS viewers, sum(CASE WHEN liked THEN 1 ELSE 0 END) AS likes, sum(watch_ms) AS watch_ms
FROM impressions
GROUP BY day
ORDER BY day;
