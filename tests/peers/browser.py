"""Tests the administration site as a user would: signs in, creates, searches, edits and deletes. Takes screenshots.

usage: browser.py PROGRAM PICTURES
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

PASSWORD = "correct horse battery"
DESKTOP = (1280, 860, 1, False)
PHONE = (390, 844, 2, True)

TASKS = [
    ("Renew the certificate of the balancer", "It runs out on the first of March; the new one must name both regions."),
    ("Rotate the signing keys", "The old key stays for as long as its last token is good."),
    ("Move the database to Ohio", "Snapshot, restore, follow to the new address; the application is not relaunched."),
    ("Answer Eva about the invoice", "She asks whether the reserved capacity is on it."),
    ("Write down how to roll back", "Which version lives after a refresh that failed, and where that is written."),
    ("Buy milk", "Two bottles."),
    ("Set the alarm for queue depth", "Above 500 for five minutes; it pages the person on duty."),
    ("Close the port of the old host", "Port 22 is unused since the images are baked."),
    ("Try the restore of last night's backup", "With a clock running: the answer belongs in the handbook."),
    ("Thank the people who tested the beta", "Names are in the shared folder."),
    ("Plan the load test", "Sixty seconds each: rolling deploy, scale out, scale in. No failed requests."),
    ("Ask for quotas in us-east-1", "Four more instances of the small kind."),
]


def main(program, pictures):
    with tempfile.TemporaryDirectory() as directory, served(program, directory) as address:
        fill(address)
        with browser(DESKTOP, "light") as driver:
            try:
                sign_in(driver, address)
                work(driver, address)
            except BaseException:
                driver.get_screenshot_as_file(str(pathlib.Path(pictures, "failed.png")))
                raise
        for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
            for scheme in ("light", "dark"):
                with browser(size, scheme) as driver:
                    look(driver, address, pictures, f"{name}-{scheme}")


@contextlib.contextmanager
def served(program, directory):
    """Runs the service on a free port, with a new database file and a staff user."""
    environment = {
        "PATH": os.environ["PATH"],
        "LISTEN": "127.0.0.1:0",
        "DATABASE_URL": "sqlite:tasks.sqlite?mode=rwc",
        "ADMIN_USERNAME": "eva",
        "ADMIN_PASSWORD": PASSWORD,
        "INSTANCE": "tasks-1",
        # Each browser signs in separately.
        "AUTH_ATTEMPTS_PER_USER": "100",
    }
    program = str(pathlib.Path(program).resolve())
    with open(f"{directory}/log", "w") as log:
        service = subprocess.Popen([program], cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        line = service.stdout.readline()
        if " listens on " not in line:
            raise SystemExit(f"the service did not start: {pathlib.Path(directory, 'log').read_text()}")
        yield line.rsplit(" ", 1)[1].strip()
    finally:
        service.terminate()
        service.wait(15)


def fill(address):
    """Creates tasks through the API, so that the activity log has rows too."""

    def call(method, path, body=None, token=None):
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(address + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    for name in ("adam", "noor", "li.wei"):
        call("POST", "/auth/register", {"username": name, "password": PASSWORD})
    tokens = [call("POST", "/auth/token", {"username": name, "password": PASSWORD})["access"] for name in ("eva", "adam")]
    for number in range(5 * len(TASKS)):
        title, description = TASKS[number % len(TASKS)]
        day, hour = number % 28 + 1, 7 + number % 11
        task = {"title": title, "description": description, "pub_date": f"2026-11-{day:02}T{hour:02}:{number:02}:00Z"}
        call("POST", "/tasks/", task, tokens[number % 2])
    for path in ("/tasks/1", "/tasks/2", "/tasks/"):
        call("GET", path)
    with contextlib.suppress(urllib.error.HTTPError):
        call("GET", "/tasks/4711")


@contextlib.contextmanager
def browser(size, scheme):
    """Starts a browser with this window size and colour scheme, and without JavaScript."""
    width, height, scale, mobile = size
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    # The site must work without JavaScript.
    options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
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


def sign_in(driver, address):
    driver.get(f"{address}/admin/tasks/")
    assert driver.title == "Sign in · Tasks admin", driver.title
    write(driver, "username", "eva")
    write(driver, "password", "wrong" + Keys.ENTER)
    until(driver, lambda: "do not belong to" in text(driver))
    write(driver, "password", PASSWORD + Keys.ENTER)
    until(driver, lambda: driver.title == "Tasks · Tasks admin")


def work(driver, address):
    """Creates, searches, edits and deletes a task; creates a user and signs in as that user."""
    press(driver, "Add task")
    write(driver, "title", "A <b>bold</b> task & more")
    press(driver, "Save")
    assert "Nothing was saved." in text(driver), "a task without description"
    assert driver.find_element(By.ID, "title").get_attribute("value") == "A <b>bold</b> task & more"
    write(driver, "description", "Written in a browser")
    press(driver, "Save")
    assert "Added the task “A <b>bold</b> task & more”." in text(driver), text(driver)

    write(driver, "q", "BOLD browser" + Keys.ENTER)
    until(driver, lambda: "1 of 1" in text(driver))
    press(driver, "A <b>bold</b> task & more")
    moment = driver.find_element(By.ID, "pub_date")
    assert moment.get_attribute("value"), "the browser does not take the moment as it is written"
    before = moment.get_attribute("value")
    write(driver, "title", "A plain task")
    press(driver, "Save and stay here")
    assert "Saved the task “A plain task”." in text(driver), text(driver)
    assert driver.find_element(By.ID, "pub_date").get_attribute("value") == before
    press(driver, "Tasks", first=driver.find_element(By.CLASS_NAME, "way"))
    assert "No task matches." in text(driver), "the list shows the search again"
    press(driver, "Clear")
    press(driver, "Title")
    assert "sort=title" in driver.current_url
    assert first_name(driver) == "A plain task", first_name(driver)
    press(driver, "2")
    assert "26–50 of 61" in text(driver), text(driver)
    press(driver, "1")
    driver.find_element(By.CSS_SELECTOR, "tbody input[type=checkbox]").click()
    press(driver, "Delete ticked…")
    assert "This task will be deleted permanently:" in text(driver) and "A plain task" in text(driver), text(driver)
    press(driver, "Delete the task")
    assert "Deleted the task “A plain task”." in text(driver), text(driver)
    assert "sort=title" in driver.current_url and first_name(driver) != "A plain task"

    press(driver, "Users")
    press(driver, "Add user")
    write(driver, "username", "olga")
    write(driver, "password", "another good one")
    write(driver, "again", "another good one")
    driver.find_element(By.ID, "staff").click()
    press(driver, "Save")
    assert "Added the user “olga”." in text(driver), text(driver)
    # With an active filter, the filters are open in every browser.
    driver.get(f"{address}/admin/users/?active=yes")
    Select(driver.find_element(By.ID, "filter-staff")).select_by_visible_text("yes")
    press(driver, "Search")
    assert "1–2 of 2" in text(driver), text(driver)
    press(driver, "eva")
    driver.find_element(By.ID, "staff").click()
    press(driver, "Save")
    assert "you would lock yourself out" in text(driver), text(driver)
    permissions(driver, address)
    several(driver, address)
    press(driver, "Sign out")
    write(driver, "username", "olga")
    write(driver, "password", "another good one" + Keys.ENTER)
    until(driver, lambda: "Latest changes" in text(driver))
    assert labels(driver.find_element(By.TAG_NAME, "nav")) == ["Tasks", "Activity"], text(driver)
    press(driver, "Tasks")
    assert "Add task" not in labels(driver) and not driver.find_elements(By.CSS_SELECTOR, "tbody input")
    press(driver, first_name(driver))
    assert "Save" not in labels(driver), text(driver)
    driver.get(f"{address}/admin/users/")
    assert driver.title == "Not permitted · Tasks admin", driver.title
    press(driver, "To the overview")
    press(driver, "Activity")
    driver.get(f"{address}/admin/activity/?method=POST")
    driver.find_element(By.ID, "filter-user").send_keys("olga" + Keys.ENTER)
    until(driver, lambda: "user=olga" in driver.current_url)
    assert "/admin/sign-in" in text(driver), text(driver)
    press(driver, "Sign out")
    driver.get(f"{address}/admin/users/")
    assert driver.title == "Sign in · Tasks admin", driver.title


def permissions(driver, address):
    """Grants permissions to a staff user, some of them by a group, and checks the user's history."""
    driver.get(f"{address}/admin/groups/add")
    write(driver, "name", "Readers")
    tick(driver, "permissions", "tasks.view")
    press(driver, "Save")
    assert "Added the group “Readers”." in text(driver), text(driver)
    press(driver, "Users")
    press(driver, "olga")
    tick(driver, "groups", "1")
    tick(driver, "permissions", "activity.view")
    press(driver, "Save and stay here")
    press(driver, "History", first=driver.find_element(By.TAG_NAME, "main"))
    assert "Groups Readers" in text(driver) and "Permissions Activity: view" in text(driver), text(driver)


def several(driver, address):
    """Publishes the rows of a page, and starts and cancels the deletion of all rows of a search."""
    driver.get(f"{address}/admin/tasks/?size=50")
    press(driver, "Tick all on this page")
    press(driver, "Publish ticked…")
    assert "These 50 tasks will have the current time as publication:" in text(driver), text(driver)
    press(driver, "Publish 50 tasks")
    assert "Published 50 tasks." in text(driver) and "size=50" in driver.current_url, text(driver)
    driver.get(f"{address}/admin/tasks/")
    press(driver, "Tick all on this page")
    press(driver, "Tick all 60 tasks")
    assert "All 60 tasks of this list are ticked" in text(driver), text(driver)
    press(driver, "Delete ticked…")
    assert "These 60 tasks will be deleted permanently:" in text(driver), text(driver)
    press(driver, "Keep")
    assert "1–25 of 60" in text(driver), text(driver)
    exported = [it.get_attribute("href") for it in driver.find_elements(By.CSS_SELECTOR, ".exports a")]
    assert exported == [f"{address}/admin/tasks/export.{kind}" for kind in ("csv", "json")], exported


def look(driver, address, pictures, name):
    """Takes a screenshot of every kind of page, and checks that none is wider than its window."""
    picture(driver, pictures, f"{name}-front", f"{address}/")
    picture(driver, pictures, f"{name}-sign-in", f"{address}/admin/")
    sign_in(driver, address)
    for page, path in (
        ("home", "/admin/"),
        ("tasks", "/admin/tasks/"),
        ("tasks-end", "/admin/tasks/?page=2&ticked=all"),
        ("empty", "/admin/tasks/?q=nothing+like+it"),
        ("add", "/admin/tasks/add"),
        ("delete", "/admin/tasks/delete?id=1&id=2&id=3"),
        ("users", "/admin/users/"),
        ("user", "/admin/users/1"),
        ("password", "/admin/users/1/password"),
        ("history-of-user", "/admin/users/5/history"),
        ("publish", "/admin/tasks/publish?id=1&id=2"),
        ("every", "/admin/tasks/?ticked=every"),
        ("group", "/admin/groups/1"),
        ("activity", "/admin/activity/"),
        ("request", "/admin/activity/1"),
        ("history", "/admin/history/"),
        ("nothing", "/admin/nothing"),
    ):
        picture(driver, pictures, f"{name}-{page}", address + path)
    driver.get(f"{address}/admin/tasks/add")
    press(driver, "Save")
    picture(driver, pictures, f"{name}-faults")


def picture(driver, pictures, name, address=None):
    if address:
        driver.get(address)
    layout = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})
    inside, outside = layout["cssContentSize"]["width"], layout["cssLayoutViewport"]["clientWidth"]
    assert inside <= outside, f"{name} is {inside} wide in a window of {outside}"
    assert driver.get_screenshot_as_file(str(pathlib.Path(pictures, f"{name}.png")))


def press(driver, label, first=None):
    """Presses the button or link with this label, and waits for the next page."""
    within = first or driver
    found = [it for it in within.find_elements(By.CSS_SELECTOR, "a, button") if it.text.strip() == label]
    assert found, f"there is no “{label}” on {driver.current_url}: {text(driver)}"
    before = driver.find_element(By.TAG_NAME, "html")
    found[0].click()
    until(driver, lambda: driver.find_element(By.TAG_NAME, "html") != before)


def tick(driver, name, value):
    driver.find_element(By.CSS_SELECTOR, f'input[name="{name}"][value="{value}"]').click()


def labels(within):
    return [it.text.strip() for it in within.find_elements(By.CSS_SELECTOR, "a, button")]


def write(driver, name, value):
    field = driver.find_element(By.NAME, name)
    field.clear()
    field.send_keys(value)


def first_name(driver):
    return driver.find_element(By.CSS_SELECTOR, "tbody td a").text


def text(driver):
    return driver.find_element(By.TAG_NAME, "body").text


def until(driver, holds):
    WebDriverWait(driver, 20, ignored_exceptions=[Exception]).until(lambda _: holds())


if __name__ == "__main__":
    main(*sys.argv[1:])
