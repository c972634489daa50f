-- Gives a worker an operation that waits for its chip. ARGV: chip, fence, operation.
-- Returns {request, number of workers that claimed it, this one included (, its span)}, or nothing if it is gone.
local chip, fence, operation = ARGV[1], ARGV[2], ARGV[3]
if lost_lease(chip, fence) then return LOST end
local claimed = claim_operation(fence, operation)
if not claimed then redis.call('HDEL', operations_key(chip), operation) end
return claimed or {}
