-- What there is to do, and that this turn has seen it. ARGV: chip, fence.
local chip, fence = ARGV[1], ARGV[2]
if lost_lease(chip, fence) then return LOST end
redis.call('DEL', chip_key(chip, 'bell'))
if redis.call('PTTL', chip_key(chip, 'wakeup')) < WAKEUP_MS / 2 then
  redis.call('SET', chip_key(chip, 'wakeup'), '1', 'PX', WAKEUP_MS) -- now and then: what is written goes to the disk
end
return {redis.call('HGETALL', WAITING), redis.call('GET', LONG_REVISION) or '0',
        redis.call('HGETALL', CHARGED), NOW_JSON, redis.call('GET', chip_key(chip, 'drain')) or ''}
