-- Forgets an account with its jobs, corrections, letters and charges. The chip time it used counts as that of `heir` from
-- now on, so that no sum shrinks. ARGV: account, heir, kinds of jobs...
local account, heir = ARGV[1], ARGV[2]
revoke_tokens(account, '')
for _, id in ipairs(redis.call('ZRANGE', jobs_of(account), 0, -1)) do
  if redis.call('HGET', job_key(id), 'kind') == '"program"' then end_session(id) end
  redis.call('DEL', job_key(id), events_key(id), results_key(id), kept_key(id))
  redis.call('ZREM', JOBS, id)
  if redis.call('SREM', LONG, id) == 1 then redis.call('INCR', LONG_REVISION) end
end
forget_kept(account)
for _, id in ipairs(redis.call('ZRANGE', corrections_of(account), 0, -1)) do
  redis.call('DEL', correction_key(id))
end
for _, name in ipairs(redis.call('HKEYS', CORRECTED)) do
  if string.sub(name, 1, #account + 1) == account .. '~' then redis.call('HDEL', CORRECTED, name) end
end
for _, lane in ipairs(redis.call('SMEMBERS', LANES)) do
  if user_of(lane) == account then
    for _, entry in ipairs(redis.call('XRANGE', lane_key(lane), '-', '+')) do
      redis.call('DEL', late_key(lane, entry[1]))
    end
    redis.call('DEL', lane_key(lane))
    redis.call('HDEL', WAITING, lane)
    redis.call('SREM', LANES, lane)
  end
end

local function inherit(key, from, to)
  local seconds = redis.call('HGET', key, from)
  if not seconds then return end
  redis.call('HINCRBYFLOAT', key, to, seconds)
  redis.call('HDEL', key, from)
end
for i = 3, #ARGV do inherit(usage_key(ARGV[i]), account, heir) end
local day, minute = math.floor(NOW / 86400), math.floor(NOW / 60)
for each = day - 2, day do redis.call('HDEL', used_key(each), account) end
for each = minute - 121, minute do
  for _, name in ipairs(redis.call('HKEYS', minute_key(each))) do
    local work = string.match(name, '^(.*:)[^:]*$')
    if name == work .. account then inherit(minute_key(each), name, work .. heir) end
  end
end
for _, key in ipairs(redis.call('SMEMBERS', traces_of(account))) do redis.call('DEL', key) end
redis.call('DEL', traces_of(account), letters_key(account), classes_of(account), desk_letters(account),
           desk_waiting(account), desk_keyed(account), desk_postcodes(account), desk_count(account))
redis.call('HDEL', CHARGED, account)
redis.call('SREM', LETTERS, account)
redis.call('SREM', USERS, account)
redis.call('DEL', user_key(account), tokens_of(account), long_of(account), jobs_of(account), corrections_of(account))
return 1
