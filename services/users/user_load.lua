-- The load of a user: unfinished long jobs, waiting crops, chip seconds of today, crops kept for correction, open
-- corrections. ARGV: user.
local name = ARGV[1]
local _, waiting = waiting_crops()
return {redis.call('SCARD', long_of(name)), waiting[name] or 0, used_today(name), kept_crops(name),
        open_corrections(name)}
