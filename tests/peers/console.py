"""Tests the console as a user would: approves a saved plan, follows the run, looks at every page, injects faults and ends one,
stops, starts and restarts resources, approves a replacement, and follows a destroy from another terminal. Checks that the live
graph does not shift, and that the keyboard opens a resource. Takes screenshots of every page in light and dark.

usage: console.py PROGRAMS PICTURES
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

DESKTOP = (1280, 860, 1, False)
PHONE = (390, 844, 2, True)
PAGES = ["/", "/network", "/runs", "/plan", "/logs", "/metrics", "/calls", "/faults"]
REQUESTS = 200

# Type of a resource on which nothing depends.
REPLACED = "aws:autoscaling:ScalingPolicy"

# Sum of the layout shifts without a cause by the user: https://web.dev/articles/cls counts up to 0.1 as good.
LARGEST_SHIFT = 0.01
WATCH_SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => { if (!entry.hadRecentInput) shifts += entry.value; }))
    .observe({ type: "layout-shift", buffered: true });
"""


def main(programs, pictures):
    with tempfile.TemporaryDirectory() as directory:
        # The user of the database must be able to enter the directory.
        os.chmod(directory, 0o755)
        system = System(pathlib.Path(programs), pathlib.Path(directory, ".infra"))
        try:
            # Load balancers and groups are measured every 15 s of AWS's time.
            system.stack("local", "start", "--time-scale", "30")
            with system.console() as console, browser(DESKTOP, "light") as driver:
                try:
                    use(driver, system, console)
                    look(console, pictures)
                    use_keyboard(driver, console)
                    break_it(driver, console)
                    end_a_fault(driver, console)
                    control(driver, console)
                    replace(driver, console)
                    picture(driver, console, "/faults", pathlib.Path(pictures, "console-fault.png"))
                    destroy(driver, system, console)
                except BaseException:
                    driver.get_screenshot_as_file(str(pathlib.Path(pictures, "console-failed.png")))
                    print(driver.current_url, text(driver)[:2000], sep="\n", file=sys.stderr)
                    raise
        finally:
            system.stack("local", "reset", "--yes", check=False)
    print(f"ok  the console in a browser; screenshots are in {pictures}")


class System:
    """A stack of the default program in a directory of its own."""

    def __init__(self, programs, directory):
        self.directory = directory
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("INFRA_")}
        self.environment["INFRA_ARTIFACT_TASKS"] = str(programs / "tasks")
        self.command = [str(programs / "stack"), "--directory", str(directory)]

    def stack(self, *arguments, check=True):
        return subprocess.run([*self.command, *arguments], env=self.environment, check=check, capture_output=True,
                              text=True).stdout

    @contextlib.contextmanager
    def console(self):
        arguments = [*self.command, "--json", "console", "--port", "0", "--no-browser", "--allow-changes"]
        process = subprocess.Popen(arguments, env=self.environment, stdout=subprocess.PIPE, text=True)
        try:
            yield Console(json.loads(process.stdout.readline())["url"], self.directory)
        finally:
            process.terminate()
            process.wait(30)


class Console:
    def __init__(self, url, directory):
        self.url = url
        self.running = json.loads((directory / "console.json").read_text())
        self.address = f"http://{self.running['address']}"

    def get(self, path, body=None):
        request = urllib.request.Request(
            self.address + path, data=body, headers={"Authorization": f"Bearer {self.running['token']}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def invite(self):
        return self.get("/api/sign-in", b"")["url"]


def use(driver, system, console):
    """Deploys the program by an approved plan, and finds what it did on the pages."""
    driver.get(console.url)
    until(driver, lambda: "token" not in driver.current_url)
    until(driver, lambda: "declared" in text(driver) and boxes(driver, "absent"))

    saved = system.directory / "plan.json"
    system.stack("preview", "--save-plan", str(saved))
    driver.get(console.address + "/plan")
    # The keys of a large text would take a minute.
    driver.execute_script("arguments[0].value = arguments[1]", driver.find_element(By.ID, "plan"), saved.read_text())
    press(driver, "Open")
    until(driver, lambda: "to create" in text(driver))
    press(driver, "Approve and apply")
    until(driver, lambda: "The plan is being applied" in text(driver))

    # The graph shows the running steps, without a reload.
    driver.get(console.address + "/")
    driver.execute_script(WATCH_SHIFTS)
    until(driver, lambda: boxes(driver, "running"), 60)
    until(driver, lambda: not boxes(driver, "absent") and "deployed" in text(driver), 120)
    shift = driver.execute_script("return shifts")
    assert shift <= LARGEST_SHIFT, f"the graph shifted by {shift} while the run changed it"

    driver.get(console.address + "/runs")
    until(driver, lambda: "succeeded" in text(driver))
    link = next(row for row in driver.find_elements(By.CSS_SELECTOR, "tbody tr") if "up" in row.text)
    link.find_element(By.TAG_NAME, "a").click()
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".bar.critical"))

    url = system.stack("output", "url").strip()
    for _ in range(REQUESTS):
        with urllib.request.urlopen(f"{url}/tasks/", timeout=10) as answer:
            assert answer.status == 200
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"{url}/missing-page-of-the-test", timeout=10)

    driver.get(console.address + "/metrics")
    until(driver, lambda: "Requests and errors" in text(driver) and "the load balancer received no request" not in text(driver))

    driver.get(console.address + "/logs?q=missing-page-of-the-test")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".line"))

    driver.get(console.address + "/calls?operation=RunInstances")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "table.calls tbody a"))
    driver.find_element(By.CSS_SELECTOR, "table.calls tbody a").click()
    until(driver, lambda: "RunInstances" in text(driver) and "root" in text(driver))

    driver.get(console.address + "/network")
    until(driver, lambda: "5432" in text(driver) and driver.find_elements(By.CSS_SELECTOR, ".drawing g.edge"))

    password = next(each["urn"] for each in console.get("/api/graph")["resources"] if "Password" in each["urn"])
    driver.get(f"{console.address}/resources/{password}")
    until(driver, lambda: "Show, and record it" in text(driver))
    press(driver, "Show, and record it")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".revealed"))
    audit = (system.directory / "console-audit.jsonl").read_text()
    assert "secret_shown" in audit and "plan_approved" in audit, audit
    secret = driver.find_element(By.CSS_SELECTOR, ".revealed").text
    assert secret not in audit and secret not in json.dumps(console.get("/api/graph")), "a secret outside of its page"


def break_it(driver, console):
    """Kills an instance and sees the group replace it, in the list of events and in the plots."""
    driver.get(console.address + "/faults")
    form = driver.find_element(By.CSS_SELECTOR, "form[data-key=kill-instance]")
    instance = Select(form.find_element(By.NAME, "instance"))
    # The instances of the group have its name.
    victim = next(option.get_attribute("value") for option in instance.options if option.text.startswith("group "))
    instance.select_by_value(victim)
    form.find_element(By.TAG_NAME, "button").click()
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".outcome.succeeded"))
    driver.get(console.address + "/metrics?range=5m")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "svg.plot, .plot svg"))
    until(driver, lambda: victim in driver.find_element(By.CSS_SELECTOR, "section:last-of-type").text, 60)


def end_a_fault(driver, console):
    """Delays requests, and ends the fault."""
    driver.get(console.address + "/faults")
    form = driver.find_element(By.CSS_SELECTOR, "form[data-key=latency]")
    form.find_element(By.TAG_NAME, "button").click()
    active = "section[data-key=active]"
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, f"{active} li button"))
    driver.find_element(By.CSS_SELECTOR, f"{active} li button").click()
    until(driver, lambda: not driver.find_elements(By.CSS_SELECTOR, f"{active} li"))
    assert driver.find_elements(By.CSS_SELECTOR, ".outcome.succeeded"), text(driver)


def control(driver, console):
    """Stops, starts and restarts the host of the database, and replaces the instances of the group."""
    state = lambda: driver.find_element(By.CSS_SELECTOR, "section[data-key=controls] .badge").text
    driver.get(f"{console.address}/resources/{resource(console, 'aws:ec2:Instance')}")
    for label, expected in (("Stop", "stopped"), ("Start", "running"), ("Restart", "running")):
        until(driver, lambda: button(driver, label).is_enabled(), 60)
        press(driver, label)
        until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".outcome.succeeded"))
        until(driver, lambda: state() == expected, 60)

    before = members(driver, console)
    driver.get(f"{console.address}/resources/{resource(console, 'aws:autoscaling:AutoScalingGroup')}")
    press(driver, "Restart")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".outcome.succeeded"))
    until(driver, lambda: before and not before & members(driver, console), 120)


def members(driver, console):
    """Returns the ids of the running instances of the group."""
    driver.get(console.address + "/faults")
    options = driver.find_elements(By.CSS_SELECTOR, "form[data-key=kill-instance] option")
    return {each.get_attribute("value") for each in options if each.text.startswith("group ") and "running" in each.text}


def replace(driver, console):
    """Plans a replacement on the page of a resource, and approves it."""
    policy = resource(console, REPLACED)
    driver.get(f"{console.address}/resources/{policy}")
    press(driver, "Plan a replacement")
    until(driver, lambda: "to replace" in text(driver))
    press(driver, "Approve and apply")
    until(driver, lambda: "The plan has been applied" in text(driver), 120)
    driver.get(f"{console.address}/resources/{policy}")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".past .badge.replace"))


def use_keyboard(driver, console):
    """Opens a resource of the graph without a pointer."""
    driver.get(console.address + "/")
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".drawing a"))
    focused = lambda: driver.switch_to.active_element
    for _ in range(60):
        focused().send_keys(Keys.TAB)
        href = driver.execute_script("const at = document.activeElement.href; return at?.baseVal ?? at ?? ''")
        if "/resources/" in href:
            break
    else:
        raise AssertionError("the tabulator key reaches no resource of the graph")
    outline = driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "the focused resource is not marked"
    focused().send_keys(Keys.ENTER)
    until(driver, lambda: "/resources/" in driver.current_url)


def destroy(driver, system, console):
    """Another terminal destroys the stack, and the open page follows."""
    driver.get(console.address + "/")
    until(driver, lambda: "deployed" in text(driver))
    with subprocess.Popen([*system.command, "destroy", "--yes"], env=system.environment, stdout=subprocess.DEVNULL) as run:
        until(driver, lambda: boxes(driver, "running"), 60)
        until(driver, lambda: not boxes(driver, "kept"), 120)
        assert run.wait(60) == 0


def look(console, pictures):
    for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            with browser(size, scheme) as driver:
                driver.get(console.invite())
                until(driver, lambda: "token" not in driver.current_url)
                runs = console.get("/api/runs")["runs"]
                run = next(each["id"] for each in runs if each["command"] == "up")
                for path in [*PAGES, f"/runs/{run}"]:
                    title = path.strip("/").split("/")[0] or "graph"
                    title = "run" if path.endswith(run) else title
                    picture(driver, console, path, pathlib.Path(pictures, f"console-{title}-{name}-{scheme}.png"))


def picture(driver, console, path, file):
    driver.get(console.address + path)
    until(driver, lambda: driver.execute_script("return document.readyState") == "complete")
    overflow = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0, f"{path} is {overflow} px wider than the window"
    assert not driver.find_elements(By.CSS_SELECTOR, ".problem"), f"{path}: {text(driver)}"
    driver.get_screenshot_as_file(str(file))


@contextlib.contextmanager
def browser(size, scheme):
    """Starts a browser with this window size and colour scheme."""
    width, height, scale, mobile = size
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        driver.set_page_load_timeout(30)
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        yield driver
    finally:
        driver.quit()


def boxes(driver, status):
    return driver.find_elements(By.CSS_SELECTOR, f".drawing g.box.{status}")


def resource(console, kind):
    """Returns the URN of the first resource of a type."""
    return next(each["urn"] for each in console.get("/api/graph")["resources"] if f"::{kind}::" in each["urn"])


def button(driver, label):
    return next(each for each in driver.find_elements(By.TAG_NAME, "button") if each.text == label)


def press(driver, label):
    button(driver, label).click()


def text(driver):
    return driver.find_element(By.TAG_NAME, "main").text


def until(driver, condition, seconds=20):
    ignored = [NoSuchElementException, StaleElementReferenceException]
    return WebDriverWait(driver, seconds, poll_frequency=0.1, ignored_exceptions=ignored).until(lambda _: condition())


if __name__ == "__main__":
    main(*sys.argv[1:])
