"""Provokes the errors that the service models declare for the offered operations.

A service's module (`errors_*.py`) has a function `cases(world, model, operations)`, which yields requests with the code that
they must be refused with, and `REASONS`: the codes that a control plane cannot produce. A declared error without a case and
without a reason counts as missing.
"""

from botocore.exceptions import ClientError

# Codes that only a failing or overloaded service returns.
SERVERS = {
    "ServiceFailure": "an internal failure",
    "InternalServerError": "an internal failure",
    "InternalServiceError": "an internal failure",
    "ServiceUnavailableException": "an internal failure",
    "ServiceInternalErrorException": "an internal failure",
    "ThrottlingException": "throttling",
    "ConcurrentModification": "operations run one after another",
    "ConcurrentModificationException": "operations run one after another",
    "ResourceContention": "operations run one after another",
    "OperationAbortedException": "operations run one after another",
    "ConflictException": "operations run one after another",
    "TooManyUpdates": "operations run one after another",
    "ResourceConflict": "operations run one after another",
}


class Case:
    """A request that must be refused."""

    def __init__(self, operation, code, parameters, *words, status=None):
        self.operation, self.code, self.parameters = operation, code, parameters
        self.words, self.status = words, status

    def failure(self, client, service_model):
        """Sends the request, and returns the difference of the answer from the documented error."""
        from world import method

        try:
            getattr(client, method(self.operation))(**self.parameters)
        except ClientError as error:
            details = error.response["Error"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            expected = self.status or self.documented_status(service_model)
            if details["Code"] != self.code:
                return f"{details['Code']} instead of {self.code}: {details.get('Message')}"
            if expected and status != expected:
                return f"{self.code} has the status {status} instead of {expected}"
            missing = [word for word in self.words if word not in details.get("Message", "")]
            return f"{self.code} without {missing}: {details.get('Message')}" if missing else None
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return f"succeeds instead of {self.code}"

    def documented_status(self, service_model):
        for shape in service_model.operation_model(self.operation).error_shapes:
            if shape.error_code == self.code:
                return shape.metadata.get("error", {}).get("httpStatusCode")
        return None


class Result:
    """Counts of a service's errors."""

    def __init__(self):
        self.provoked, self.failed, self.reasons, self.missing = [], [], [], []


def run(world, service, operations, module):
    """Executes the cases of a service."""
    client = world.client(service)
    model = client.meta.service_model
    result, provoked = Result(), set()
    for case in module.cases(world, model, operations):
        if case.operation not in operations:
            continue
        failure = case.failure(client, model)
        if failure:
            result.failed.append((case.operation, failure))
        else:
            result.provoked.append((case.operation, case.code))
        provoked.add((case.operation, case.code))
    for operation in operations:
        for shape in model.operation_model(operation).error_shapes:
            pair = (operation, shape.error_code)
            reason = module.REASONS.get(pair) or module.REASONS.get(shape.error_code) or SERVERS.get(shape.error_code)
            if pair not in provoked:
                (result.reasons if reason else result.missing).append(pair)
    return result


def fill(create):
    """Calls a function with 0, 1, … until a quota refuses the request."""
    for number in range(1000):
        try:
            create(number)
        except ClientError:
            return


def required(model, operation, samples):
    """Returns the required members of an operation with sample values."""
    shape = model.operation_model(operation).input_shape
    return {name: sample(operation, name, samples) for name in (shape.required_members if shape else [])}


def sample(operation, name, samples):
    for key in ((operation, name), name):
        if key in samples:
            return samples[key]
    raise KeyError(f"no sample of {name} of {operation}")


def members(model, operation):
    shape = model.operation_model(operation).input_shape
    return shape.members if shape else {}


def unknown(model, operations, samples, table, kept=()):
    """Yields a case for each member that refers to a resource, with one that does not exist.

    `table` maps members to a code, the value, and words of the message."""
    for operation in operations:
        for member, (code, value, *words) in table.items():
            if member in members(model, operation) and (operation, member) not in kept:
                many = members(model, operation)[member].type_name == "list"
                is_plain = not many or isinstance(value, list)
                yield Case(
                    operation,
                    code,
                    {**required(model, operation, samples), member: value if is_plain else [value]},
                    *words,
                )
