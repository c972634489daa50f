-- Ends sessions. ARGV: keep_s, event, the time before which an open one was used last ('' to end those named), ids...
local ids = ARGV[3] == '' and {unpack(ARGV, 4)} or redis.call('ZRANGEBYSCORE', PROGRAMS, '-inf', '(' .. ARGV[3])
for _, id in ipairs(ids) do
  local state = redis.call('HGET', job_key(id), 'state')
  if state and not is_final(state) then change(id, {'state', '"succeeded"', 'progress', '1.0'}, ARGV[2], ARGV[1]) end
  end_session(id)
end
return ids
