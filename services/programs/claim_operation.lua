-- Gives a worker an operation that waits for its chip. ARGV: chip, fence, operation.
-- Returns {request, number of workers that claimed it, this one included}, or nothing if it is gone.
local chip, fence, operation = ARGV[1], ARGV[2], ARGV[3]
if lost_lease(chip, fence) then return LOST end
local key = operation_key(operation)
local found = redis.call('HMGET', key, 'request', 'claimed_by', 'claims')
if not found[1] then
  redis.call('HDEL', operations_key(chip), operation)
  return {}
end
local claims = tonumber(found[3] or '0')
if found[2] ~= fence then
  claims = claims + 1
  redis.call('HSET', key, 'claimed_by', fence, 'claims', claims)
end
return {found[1], claims}
