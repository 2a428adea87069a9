-- Delta, a struct column: which apps do people watch with on the last two days, and for how long at a time?
SELECT device.os AS os, device.app AS app, count(*) AS views, CAST(round(avg(watch_ms)) AS BIGINT) AS mean_watch_ms
FROM impressions
WHERE day >= DATE '2026-11-19'
GROUP BY device.os, device.app
ORDER BY views DESC, os, app;
