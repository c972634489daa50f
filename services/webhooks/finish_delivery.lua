-- Records a try. ARGV: user, hook, delivery, number of the try, outcome ('delivered', 'retry', 'failed', or 'gone' where
-- the receiver wants no more), status of the answer ('' for none), milliseconds, problem, seconds until the next try,
-- seconds of failing after which a hook is switched off. Returns 'done', or 'late' if another process has claimed it
-- since, 'off' if this switched the hook off.
local user, hook, id, outcome, problem = ARGV[1], ARGV[2], ARGV[3], ARGV[5], ARGV[8]
local key = delivery_key(user, id)
local tries, state = unpack(redis.call('HMGET', key, 'tries', 'state'))
if tries ~= ARGV[4] or state ~= 'waiting' then return 'late' end
redis.call('HSET', key, 'tried_at', NOW_JSON, 'status', ARGV[6], 'took_ms', ARGV[7], 'problem', problem)
local of_hook = hook_key(user, hook)
if outcome == 'delivered' then
  end_delivery(user, hook, id, 'delivered', '')
  redis.call('HSET', of_hook, 'failing_since', '')
  return 'done'
end
redis.call('HINCRBY', HOOKS_COUNTED, 'tried', 1)
if outcome == 'retry' then
  try_delivery_at(user, hook, id, NOW + ARGV[9])
else
  end_delivery(user, hook, id, 'failed', problem)
end
if hook == JOBS_HOOK then return 'done' end -- its addresses have nothing in common
local since = redis.call('HGET', of_hook, 'failing_since')
if since == '' then
  since = NOW_JSON
  redis.call('HSET', of_hook, 'failing_since', since)
end
if outcome == 'gone' or NOW - since >= tonumber(ARGV[10]) then
  redis.call('HSET', of_hook, 'off', problem)
  return 'off'
end
return 'done'
