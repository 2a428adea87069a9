-- Delta, by the clock: the same question, asked at the instant that ended each of the first four days (the commits of a day are seconds apart).
SELECT 1 AS day, count(*) AS impressions FROM impressions TIMESTAMP AS OF '2026-11-24T01:53:48Z'
UNION ALL SELECT 2, count(*) FROM impressions TIMESTAMP AS OF '2026-11-24T01:54:44Z'
UNION ALL SELECT 3, count(*) FROM impressions TIMESTAMP AS OF '2026-11-24T01:55:34Z'
UNION ALL SELECT 4, count(*) FROM impressions TIMESTAMP AS OF '2026-11-24T01:56:50Z'
ORDER BY day;
