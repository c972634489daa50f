-- Stores and sends the answers of one batch. ARGV: chip, fence, half_life_s, keep_s, reference and most crops to claim
-- with the backlog, then one MessagePack text:
-- {entries = {{lane, entry, id, part, answer, final state or '', error JSON, {job = answer}}},
--  replies = {{stream, payload}}, charges = {{user, seconds}}}.
-- An entry may hold several requests, and some may have a job by now: the last of its values has their answers. Where
-- one is missing the entry stays; returns those, each as {lane, entry, {job, 'first count', ...}}, and a backlog, which
-- claims only when none stays.
local chip, fence, half_life_s, keep_s = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if lost_lease(chip, fence) then return LOST end
local batch = cmsgpack.unpack(ARGV[7])

local function settle(id, part, answer, ended, problem)
  local key = job_key(id)
  local state = redis.call('HGET', key, 'state')
  if not state or is_final(state) then return end
  if ended ~= '' then
    change(id, {'state', '"' .. ended .. '"', 'error', problem},
           '{"type":"state","state":"' .. ended .. '"}', keep_s)
    return
  end
  start_if_queued(id)
  redis.call('HSET', results_key(id), part, answer)
  local done = redis.call('HLEN', results_key(id))
  local parts = tonumber(redis.call('HGET', key, 'parts'))
  if done >= parts then
    change(id, {'state', '"succeeded"', 'progress', '1.0'}, '{"type":"state","state":"succeeded"}', keep_s)
  else
    local progress = string.format('%.4f', done / parts)
    redis.call('HSET', key, 'progress', progress)
    announce(id, '{"type":"progress","progress":' .. progress .. '}')
  end
end

local left = {}
for _, e in ipairs(batch.entries) do
  local lane, entry, id, part, answer, ended, problem, answers = unpack(e)
  local late, is_complete = redis.call('HGETALL', late_key(lane, entry)), true
  for i = 1, #late, 2 do is_complete = is_complete and (ended ~= '' or answers[late[i]] ~= nil) end
  if is_complete then
    settle(id, part, answer, ended, problem)
    for i = 1, #late, 2 do settle(late[i], 0, answers[late[i]], ended, problem) end
    forget_entry(lane, entry, #late > 0)
  else
    left[#left + 1] = {lane, entry, late}
  end
end
for _, reply in ipairs(batch.replies) do send_reply(reply[1], reply[2]) end
for _, c in ipairs(batch.charges) do charge(chip, c[1], 'classification', c[2], half_life_s) end
return {left, backlog(chip, #left == 0 and ARGV[5] or '', ARGV[6])}
