-- Lets a delivery be tried now, as often as a new one if it has ended. ARGV: user, id. Returns 'done', 'missing', or the
-- reason: 'deleted' or 'off'.
local user, id = ARGV[1], ARGV[2]
local hook, state = unpack(redis.call('HMGET', delivery_key(user, id), 'hook', 'state'))
if not state then return 'missing' end
local off = redis.call('HGET', hook_key(user, hook), 'off')
if not off then return 'deleted' end
if off ~= '' then return 'off' end
if state ~= 'waiting' then
  redis.call('EXPIRE', delivery_key(user, id), KEEP_DELIVERY_S)
  queue_delivery(user, hook, id)
elseif not redis.call('ZSCORE', HOOKS_TAKEN, user .. ':' .. hook .. ':' .. id) then
  try_delivery_at(user, hook, id, NOW)
end
return 'done'
