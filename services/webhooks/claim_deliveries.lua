-- Claims deliveries whose time has come. ARGV: how many, seconds of a lease, most that are tried at a time of a hook, and
-- of a user. The lease is the time of the next try: a delivery whose process dies is claimed again then.
-- Returns of each {user, hook, delivery, number of the try, its fields, the hook's fields}.
local most, lease_s, most_of_hook, most_of_user = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local due = redis.call('ZRANGEBYSCORE', HOOKS_DUE, '-inf', NOW_JSON, 'LIMIT', 0, 200)
if #due == 0 then return {} end
redis.call('ZREMRANGEBYSCORE', HOOKS_TAKEN, '-inf', NOW_JSON)
local taken, claimed, ends = {}, {}, string.format('%.6f', NOW + lease_s)
local function take(user, name)
  taken[name], taken[user] = (taken[name] or 0) + 1, (taken[user] or 0) + 1
end
for _, name in ipairs(redis.call('ZRANGE', HOOKS_TAKEN, 0, -1)) do
  take(string.match(name, '^[^:]*'), string.match(name, '^[^:]*:[^:]*'))
end

local function claim(user, hook, id)
  local fields = redis.call('HGETALL', delivery_key(user, id))
  local of_hook = redis.call('HMGET', hook_key(user, hook), 'url', 'secret', 'off')
  if #fields == 0 or not of_hook[3] then
    end_delivery(user, hook, id, 'failed', 'the webhook was deleted')
  elseif of_hook[3] ~= '' then
    end_delivery(user, hook, id, 'failed', 'the webhook is switched off')
  elseif redis.call('HGET', user_key(user), 'disabled') == 'true' then
    end_delivery(user, hook, id, 'failed', 'the account is disabled')
  else
    local tries = redis.call('HINCRBY', delivery_key(user, id), 'tries', 1)
    redis.call('ZADD', hook_queue(user, hook), ends, id)
    redis.call('ZADD', HOOKS_TAKEN, ends, user .. ':' .. hook .. ':' .. id)
    take(user, user .. ':' .. hook)
    claimed[#claimed + 1] = {user, hook, id, tries, fields, of_hook}
  end
end

for _, name in ipairs(due) do
  local user, hook = string.match(name, '^([^:]*):(.*)$')
  local free = math.min(most - #claimed, most_of_hook - (taken[name] or 0), most_of_user - (taken[user] or 0))
  if free > 0 then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', hook_queue(user, hook), '-inf', NOW_JSON, 'LIMIT', 0, free)) do
      claim(user, hook, id)
    end
    schedule_hook(user, hook)
  elseif most > #claimed then
    redis.call('ZADD', HOOKS_DUE, NOW + 1, name) -- one that is busy stands in nobody's way
  end
end
return claimed
