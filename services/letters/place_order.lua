-- Records an order of a letter centre. ARGV: id, user, params, alive_s, keep_s. Returns 'placed'; 'absent' if no process
-- waits for orders, 'busy' if one is carried out.
if redis.call('EXISTS', CENTRE_ON_DEMAND) == 0 then return 'absent' end
if redis.call('EXISTS', CENTRE_LEASE) == 1 then return 'busy' end
redis.call('DEL', CENTRE_ORDER)
redis.call('HSET', CENTRE_ORDER, 'id', ARGV[1], 'user', ARGV[2], 'params', ARGV[3], 'state', 'waiting')
redis.call('EXPIRE', CENTRE_ORDER, ARGV[5])
redis.call('SET', CENTRE_LEASE, ARGV[1], 'EX', ARGV[4])
return 'placed'
