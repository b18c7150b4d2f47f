-- Drives kvorum with wrk: each thread puts new keys, one after the other, and reads what was acknowledged last. One connection a
-- thread, so that a reply is that to the thread's last request. Each thread keeps a file in the folder named after "--":
--   acked KEY REVISION       a put was answered with success
--   reply STATUS OUTCOME     any other reply to a put
--   wrong WHAT               something that must never come

local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

function init(args)
   out = assert(io.open(args[1] .. "/wrk-" .. number, "w"))
   written, last = 0, nil
   reading = false
end

-- value is the key again: what is read under a key tells where it belongs.
local function path(key) return "/v1/kv/" .. key end

function request()
   reading = last ~= nil and not reading
   if reading then
      asked = last
      return wrk.format("GET", path(asked), {["Connection"] = "keep-alive"})
   end
   written = written + 1
   -- The last byte is the slot: three threads in a row are of three shards.
   asked = "wrk-" .. number .. "-" .. written .. "-" .. string.char(97 + number)
   return wrk.format("PUT", path(asked), {["Connection"] = "keep-alive"}, asked)
end

local function header(headers, name)
   for k, v in pairs(headers) do
      if string.lower(k) == name then return v end
   end
   return "none"
end

function response(status, headers, body)
   local outcome = header(headers, "kvorum-outcome")
   if reading and status == 200 then
      if body ~= asked then out:write("wrong ", asked, " was read as ", body, "\n") end
   elseif reading and status == 404 then
      out:write("wrong ", asked, " was acknowledged and is not there\n")
   elseif reading then
      out:write("read ", status, " ", outcome, "\n")
   elseif status == 201 then
      out:write("acked ", asked, " ", string.match(header(headers, "etag"), "%d+") or "0", "\n")
      last = asked
   else
      out:write("reply ", status, " ", outcome, "\n")
   end
   out:flush()
end
