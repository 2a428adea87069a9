-- Paimon x Iceberg x Delta: the most viewed item of each country (smallest item_id on a tie).
SELECT country, item_id, title, views
FROM (
  SELECT u.country, i.item_id, i.title, count(*) AS views,
         row_number() OVER (PARTITION BY u.country ORDER BY count(*) DESC, i.item_id) AS place
  FROM impressions p JOIN users u ON p.user_id = u.user_id JOIN items i ON p.item_id = i.item_id
  GROUP BY u.country, i.item_id, i.title
) ranked
WHERE place = 1
ORDER BY views DESC, country;
