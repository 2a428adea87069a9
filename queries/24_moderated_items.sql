-- Which items did the first two clean-ups after the launch take away or rewrite? Two snapshots of an Iceberg table with position deletes: only deleted rows and new files are read.
SELECT before.item_id, before.status AS was, after.status AS is_now
FROM DIFF(items, 380748008318831364, 3817224709883018694, key => (item_id)) AS before
LEFT JOIN DIFF(items, 380748008318831364, 3817224709883018694, key => (item_id)) AS after
  ON after.item_id = before.item_id AND after._change_type = 'update_postimage'
WHERE before._change_type IN ('update_preimage', 'delete')
ORDER BY before.item_id;
