-- Cancels a waiting job at once, and answers the waiting request of its crops; asks the worker to stop a running job.
-- ARGV: id, keep_s, answer. Returns 'missing', 'ended' if this ended it, or 'left', and the chips to wake.
local id, keep_s, answer = ARGV[1], ARGV[2], ARGV[3]
local key = job_key(id)
local found = redis.call('HMGET', key, 'state', 'kind', 'cancel_requested', 'reply_to', 'started_at')
local state = found[1]
if not state then return {'missing', {}} end
if is_final(state) then return {'left', {}} end
if found[2] == '"program"' then
  change(id, {'state', '"cancelled"', 'cancel_requested', 'true'}, '{"type":"state","state":"cancelled"}', keep_s)
  end_session(id)
  return {'ended', {}}
end
-- A job that was begun and requeued, because its worker died, keeps its partial result: a worker ends it.
if (state == '"queued"' and not found[5]) or found[2] == '"classification"' then
  change(id, {'state', '"cancelled"', 'cancel_requested', 'true'}, '{"type":"state","state":"cancelled"}', keep_s)
  if found[4] then send_reply(found[4], answer) end
  return {'ended', {}}
end
if found[3] ~= 'true' then change(id, {'cancel_requested', 'true'}, '{"type":"cancel_requested"}', keep_s) end
return {'left', ring()}
