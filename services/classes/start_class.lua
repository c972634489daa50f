-- Records a class. ARGV: code, teacher, most classes of the teacher that have not ended ('' for no limit), fields...
-- Returns 'started', 'taken' if there is a class of this code, or 'full'.
local code, teacher, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('EXISTS', class_key(code)) == 1 then return 'taken' end
local running = 0
for _, other in ipairs(redis.call('SMEMBERS', classes_of(teacher))) do
  if tonumber(redis.call('HGET', class_key(other), 'until') or '0') > NOW then running = running + 1 end
end
if running >= (most or math.huge) then return 'full' end
redis.call('HSET', class_key(code), 'created_at', NOW_JSON, unpack(ARGV, 4))
redis.call('SADD', CLASSES, code)
redis.call('SADD', classes_of(teacher), code)
return 'started'
