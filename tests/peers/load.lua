-- Constant load for wrk: requests for lists, single tasks and new tasks at a fixed rate over persistent connections.
--
--     wrk … -s load.lua URL -- NAME SECONDS RATE IDS
--
-- NAME is the prefix of new tasks' titles. SECONDS is the time after which no requests are sent (before wrk stops, so that
-- every request has a response). RATE is the requests per second of each thread. IDS are existing tasks, separated by
-- commas. The result is a line of JSON after `LOAD`: `failures` contains times in milliseconds since 1970 and statuses,
-- `created` the titles of tasks acknowledged with 201.

local ffi = require("ffi")
ffi.cdef [[
    typedef struct { long seconds; long nanoseconds; } moment;
    int clock_gettime(int clock, moment *moment);
]]
local moment = ffi.new("moment")

local function now()
    ffi.C.clock_gettime(0, moment)
    return tonumber(moment.seconds) * 1000 + tonumber(moment.nanoseconds) / 1e6
end

local threads = {}

function setup(thread)
    table.insert(threads, thread)
    thread:set("number", #threads)
end

-- A thread collects its results as text, because wrk does not transfer tables between threads.
function init(arguments)
    name, quiet, pause, ids = arguments[1], now() + arguments[2] * 1000, 1000 / arguments[3], {}
    for id in arguments[4]:gmatch("[^,]+") do
        table.insert(ids, id)
    end
    next_turn, failures, created, answered = now(), "", "", 0
    -- wrk calls `request` of the first thread once without sending the request.
    sent = number == 1 and -1 or 0
end

-- Missed turns are skipped and not made up for.
function delay()
    local time = now()
    if time > quiet then
        return 3600000
    end
    local turn = math.max(time, next_turn)
    next_turn = turn + pause
    return turn - time
end

function request()
    sent = sent + 1
    if sent % 20 == 10 then
        local title = name .. "-" .. number .. "-" .. sent
        local task = '{"title":"' .. title .. '","pub_date":"2026-01-02T03:04:05.123456Z","description":"under load"}'
        return wrk.format("POST", "/tasks/", { ["Content-Type"] = "application/json" }, task)
    elseif sent % 20 == 0 then
        return wrk.format("GET", "/tasks/")
    end
    return wrk.format("GET", "/tasks/" .. ids[sent % #ids + 1])
end

function response(status, _, body)
    answered = answered + 1
    if status == 201 then
        created = created .. (body:match('"title":"([^"]*)"') or "?") .. " "
    elseif status ~= 200 or not body:match("^[%[{].*[%]}]$") then
        failures = failures .. string.format("[%.0f,%d],", now(), status)
    end
end

function done(summary, latency)
    local all = { sent = 0, answered = 0, failures = "", created = "" }
    for _, thread in ipairs(threads) do
        for key, sum in pairs(all) do
            all[key] = type(sum) == "string" and sum .. thread:get(key) or sum + thread:get(key)
        end
    end
    local errors = summary.errors
    print(string.format(
        'LOAD {"sent":%d,"answered":%d,"broken":%d,"failures":[%s],"created":"%s","seconds":%f,"p99":%f,"max":%f}',
        all.sent, all.answered, errors.connect + errors.read + errors.write + errors.timeout,
        all.failures:sub(1, -2), all.created, summary.duration / 1e6, latency:percentile(99) / 1000, latency.max / 1000))
end
