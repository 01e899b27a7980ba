"""Names of the parameters of AWS's operations, from botocore's models (PyPI), as the operation tables write them."""

# Models whose names differ from their credential scopes.
MODELS = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "cloudcontrolapi": "cloudcontrol"}


def query_member(name, shape):
    """Returns the name of a structure's member in the Query protocol."""
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        return shape.member.serialization.get("name", name)
    return shape.serialization.get("name", name)


def ec2_member(name, shape):
    """Returns the name of a structure's member in EC2's protocol."""
    if "queryName" in shape.serialization:
        return shape.serialization["queryName"]
    name = shape.serialization.get("name", name)
    return name[0].upper() + name[1:]


def form_names(shape, protocol, path=(), outer=()):
    """Returns the names of a form's parameters, as operation tables write them: `Filter.N.Value.N`."""
    if shape.name in outer:
        return set()
    outer = (*outer, shape.name)
    flattened = protocol == "ec2" or shape.serialization.get("flattened")
    if shape.type_name == "structure":
        member_name = ec2_member if protocol == "ec2" else query_member
        members = [(member, (*path, member_name(name, member))) for name, member in shape.members.items()]
    elif shape.type_name == "list":
        element = shape.member.serialization.get("name", "member")
        members = [(shape.member, (*path, "N") if flattened or element == "member" else (*path, element, "N"))]
    elif shape.type_name == "map":
        entry = (*path, "N") if flattened else (*path, "entry", "N")
        sides = [(shape.key, "key"), (shape.value, "value")]
        members = [(side, (*entry, side.serialization.get("name", name))) for side, name in sides]
    else:
        return {".".join(path)}
    # Clients send an empty list as its bare name.
    names = {".".join(path)} if shape.type_name == "list" else set()
    return names.union(*(form_names(member, protocol, inner, outer) for member, inner in members))


def document_names(shape, path=(), outer=()):
    """Returns the names of the members of a request in JSON, and after a dot those of the structures in it."""
    while shape.type_name == "list":
        shape = shape.member
    names = {".".join(path)} - {""}
    if shape.type_name != "structure" or shape.name in outer:
        return names
    outer = (*outer, shape.name)
    return names.union(*(document_names(member, (*path, name), outer) for name, member in shape.members.items()))


def parameter_names(model, operation):
    """Returns the names of an operation's parameters."""
    shape = model.operation_model(operation).input_shape
    if shape is None:
        return set()
    protocol = model.metadata["protocol"]
    return form_names(shape, protocol) if protocol in ("ec2", "query") else document_names(shape)


def leaves(names):
    """Returns the names that are no prefix of another one: those of structures and lists are left out."""
    outer = {name.rsplit(".", at)[0] for name in names for at in range(1, name.count(".") + 1)}
    return set(names) - outer
