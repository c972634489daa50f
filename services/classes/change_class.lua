-- Changes fields of a class. ARGV: code, names and values... Returns 0 without the class, or while it is deleted.
local key = class_key(ARGV[1])
if redis.call('EXISTS', key) == 0 or redis.call('HGET', key, 'deleting') == 'true' then return 0 end
redis.call('HSET', key, unpack(ARGV, 2))
return 1
