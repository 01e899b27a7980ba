"""Writes the manifest of the crate outside of the workspace, and prints the features of infra-aws.

Usage: cargo metadata --no-deps | outside.py WORKSPACE-MANIFEST NEW-MANIFEST
"""

import json
import sys
import tomllib

# The dependencies of a procedural macro and of build scripts are built separately, with features of their own.
MACROS = "infra-macros"


def dependencies(packages):
    """Returns the dependencies of all packages on other crates, with the features of all of them together."""
    found = {}
    for package in packages:
        for dependency in package["dependencies"]:
            of_macros = package["name"] == MACROS and dependency["kind"] is None
            if dependency["source"] is None or dependency["kind"] == "build" or of_macros:
                continue
            known = found.setdefault(dependency["name"], {"version": dependency["req"], "features": set(), "default-features": False})
            known["features"].update(dependency["features"])
            known["default-features"] |= dependency["uses_default_features"]
    return found


def toml(value):
    """Returns a value in TOML, which writes these values as JSON does, but for tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


def main():
    workspace, manifest = sys.argv[1:]
    packages = json.load(sys.stdin)["packages"]
    infra_aws = next(package for package in packages if package["name"] == "infra-aws")
    features = sorted(name for name in infra_aws["features"] if name != "default" and not name.startswith("aws-"))
    path = infra_aws["manifest_path"].removesuffix("/Cargo.toml")
    needed = {name: dict(known, features=sorted(known["features"])) for name, known in dependencies(packages).items()}
    needed["infra-aws"] = {"path": path, "default-features": False}
    core = {dependency["name"] for dependency in infra_aws["dependencies"] if dependency["source"] is None}
    needed.update({name: {"path": path.replace("infra-aws", name)} for name in core})
    with open(workspace, "rb") as file:
        profiles = tomllib.load(file)["profile"]
    with open(manifest, "w") as file:
        print('[package]\nname = "outside"\nversion = "0.1.0"\nedition = "2024"\n\n[workspace]\n', file=file)
        print("[dependencies]", file=file)
        for name, dependency in sorted(needed.items()):
            print(f"{name} = {toml(dependency)}", file=file)
        print("\n[features]\ndefault = " + toml(features), file=file)
        for feature in features:
            print(f"{feature} = {toml([f'infra-aws/{feature}'])}", file=file)
        for name, profile in profiles.items():
            packages = profile.pop("package", {})
            print(f"\n[profile.{name}]", file=file)
            for key, value in profile.items():
                print(f"{key} = {toml(value)}", file=file)
            for package, settings in packages.items():
                print(f"[profile.{name}.package.{toml(package)}]", file=file)
                for key, value in settings.items():
                    print(f"{key} = {toml(value)}", file=file)
    print("\n".join(features))


main()
