-- Deletes a webhook; its deliveries that wait have failed. ARGV: user, id. Returns 1, or 0 where there is none.
local user, hook = ARGV[1], ARGV[2]
if redis.call('EXISTS', hook_key(user, hook)) == 0 then return 0 end
for _, id in ipairs(redis.call('ZRANGE', hook_queue(user, hook), 0, -1)) do
  end_delivery(user, hook, id, 'failed', 'the webhook was deleted')
end
redis.call('DEL', hook_key(user, hook), hook_queue(user, hook))
redis.call('ZREM', hooks_of(user), hook)
return 1
