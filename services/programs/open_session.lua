-- Opens a program's session. ARGV: id, user, most open sessions of this user, most chip seconds of this user in a day
-- ('' for no limit), half_life_s, credit_s, fields...
local id, user = ARGV[1], ARGV[2]
if redis.call('EXISTS', job_key(id)) == 1 then return {'new'} end -- sent again because the answer was lost
if has_spent(user, ARGV[4]) then return spent(user) end
local own = 0
for _, other in ipairs(redis.call('ZRANGE', PROGRAMS, 0, -1)) do
  if name_in(redis.call('HGET', job_key(other), 'user') or '""') == user then own = own + 1 end
end
if own >= (tonumber(ARGV[3]) or math.huge) then return {'quota', 'max_queued_jobs', own} end
create(id, {unpack(ARGV, 7)}, '{"type":"state","state":"running"}')
redis.call('HSET', job_key(id), 'started_at', NOW_JSON)
let_in(id, tonumber(ARGV[5]), tonumber(ARGV[6]))
redis.call('ZADD', PROGRAMS, NOW, id)
return {'new'}
