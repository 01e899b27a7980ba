"""Measures the console of a stack with many resources.

usage: console_speed.py PROGRAM RESOURCES EVENTS-PER-SECOND
"""

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request

from console import DESKTOP, browser, until

VISITS = 7
SECONDS = 20

# Collects the durations of frames and of tasks over 50 ms.
WATCH = """
window.frames_ms = []; window.tasks_ms = [];
new PerformanceObserver((list) => list.getEntries().forEach((entry) => tasks_ms.push(entry.duration)))
    .observe({ type: "longtask", buffered: false });
let last = performance.now();
requestAnimationFrame(function frame(now) { frames_ms.push(now - last); last = now; requestAnimationFrame(frame); });
"""


def main(program, resources, rate):
    # As `stack console` sets it for itself.
    environment = {**os.environ, "MIMALLOC_PURGE_DELAY": "0"}
    with subprocess.Popen([program, resources, rate], env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            running = json.loads(process.stdout.readline())
            address = f"http://{running['address']}"
            request = urllib.request.Request(f"{address}/api/sign-in", data=b"",
                                             headers={"Authorization": f"Bearer {running['token']}"})
            with urllib.request.urlopen(request) as answer:
                url = json.load(answer)["url"]
            with browser(DESKTOP, "light") as driver:
                driver.get(url)
                until(driver, lambda: "token" not in driver.current_url)
                measure(driver, address, resources)
            memory = dict(re.findall(r"(\w+):\s+(\d+) kB", read(f"/proc/{process.pid}/status")))
            resident, own, most = (int(memory[name]) / 1024 for name in ("VmRSS", "RssAnon", "VmHWM"))
            print(f"{resources} resources: {resident:.0f} MiB resident, {own:.0f} MiB without mapped files; "
                  f"at most {most:.0f} MiB")
        finally:
            process.terminate()


def read(path):
    with open(path) as file:
        return file.read()


def measure(driver, address, resources):
    paints = []
    for _ in range(VISITS):
        driver.get(f"{address}/")
        paint = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        with contextlib.suppress(Exception):
            paints.append(until(driver, lambda: driver.execute_script(paint)))
    print(f"{resources} resources: first contentful paint {statistics.median(paints):.0f} ms (median of {len(paints)})")
    for path in ("/", "/runs"):
        driver.get(address + path)
        if path == "/runs":
            driver.find_element("css selector", "tbody a").click()
        driver.execute_script(WATCH)
        time.sleep(SECONDS)
        frames = sorted(driver.execute_script("return frames_ms"))
        tasks = driver.execute_script("return tasks_ms")
        print(f"{resources} resources, {path}: 95 % of {len(frames)} frames within {frames[len(frames) * 95 // 100]:.0f} ms, "
              f"longest {frames[-1]:.0f} ms; {len(tasks)} tasks over 50 ms, longest {max(tasks, default=0):.0f} ms")


main(*sys.argv[1:])
