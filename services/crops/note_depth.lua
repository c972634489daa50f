-- Notes how much waits, unless somebody noted it less than so long ago. ARGV: milliseconds between points, most points.
local pause_ms, most = tonumber(ARGV[1]), ARGV[2]
local newest = redis.call('XREVRANGE', DEPTH, '+', '-', 'COUNT', 1)[1]
if newest and NOW_MS - tonumber(string.match(newest[1], '^%d+')) < pause_ms then return 0 end
local crops = waiting_crops()
local jobs = {['"queued"'] = 0, ['"running"'] = 0}
for _, id in ipairs(redis.call('SMEMBERS', LONG)) do
  local state = redis.call('HGET', job_key(id), 'state')
  if jobs[state] then jobs[state] = jobs[state] + 1 end
end
redis.call('XADD', DEPTH, 'MAXLEN', '~', most, '*', 'crops', crops, 'queued', jobs['"queued"'], 'running',
           jobs['"running"'])
return 1
