SELECT count(*) FROM destinations d, (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms) t
WHERE NOT d.held AND (d.state = 'up' OR d.next_probe_at <= t.ms) AND least(
  (SELECT min(next_attempt_at) FROM deliveries WHERE state = 'waiting' AND destination = d.name AND priority = 0),
  (SELECT min(next_attempt_at) FROM deliveries WHERE state = 'waiting' AND destination = d.name AND priority = 1),
  (SELECT min(next_attempt_at) FROM deliveries WHERE state = 'waiting' AND destination = d.name AND priority = 2),
  (SELECT min(next_attempt_at) FROM deliveries WHERE state = 'waiting' AND destination = d.name AND priority = 3)
) <= t.ms
