-- What there is to do, and that this turn has seen it. ARGV: chip, fence.
local chip, fence = ARGV[1], ARGV[2]
if lost_lease(chip, fence) then return LOST end
redis.call('DEL', chip_key(chip, 'bell'))
redis.call('SET', chip_key(chip, 'wakeup'), '1', 'PX', WAKEUP_MS)
return {redis.call('HGETALL', WAITING), redis.call('GET', LONG_REVISION) or '0',
        redis.call('HGETALL', CHARGED), NOW_JSON, redis.call('GET', chip_key(chip, 'drain')) or ''}
