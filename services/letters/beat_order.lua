-- Notes a sign of life of a process that carries out orders. ARGV: id of the order that it carries out or '', '1' if that
-- has ended, its problem or '', alive_s. Returns the order that it shall carry out now, if there is one.
local id, alive_s = ARGV[1], ARGV[4]
local function renew(key, value)  -- written when half its time is over: the process comes every second
  if redis.call('PTTL', key) < 500 * alive_s then redis.call('SET', key, value, 'EX', alive_s) end
end
renew(CENTRE_ON_DEMAND, '1')
local held = redis.call('GET', CENTRE_LEASE)
if not held or (id ~= '' and held ~= id) then return false end
local state = redis.call('HGET', CENTRE_ORDER, 'state')
if id == '' then
  if state ~= 'waiting' then return false end
  redis.call('HSET', CENTRE_ORDER, 'state', 'running')
elseif ARGV[2] == '1' then
  redis.call('HSET', CENTRE_ORDER, 'state', state == 'stopping' and 'stopped' or 'ended')
  if ARGV[3] ~= '' and state ~= 'stopping' then redis.call('HSET', CENTRE_ORDER, 'problem', ARGV[3]) end
  redis.call('DEL', CENTRE_LEASE)
  return false
elseif state ~= 'running' then
  return false
end
renew(CENTRE_LEASE, held)
return redis.call('HGETALL', CENTRE_ORDER)
