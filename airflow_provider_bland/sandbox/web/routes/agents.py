"""Routes of web agents. Their errors are not documented; they follow the ones of calls."""

from __future__ import annotations

import uuid

from starlette.requests import Request

from airflow_provider_bland.sandbox.model import agents
from airflow_provider_bland.sandbox.model.replies import Reply, error
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, json_object


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    @on("GET", "/v1/agents")
    async def list_agents(request: Request) -> Reply:
        return Reply({"agents": [agents.shown(agent) for agent in sandbox.agents.values()]})

    @on("POST", "/v1/agents")
    async def create_agent(request: Request) -> Reply:
        fields = await json_object(request)
        wrong = agents.problems(fields, creating=True)
        if wrong:
            return error(400, "Invalid parameters", errors=list(wrong.values()))
        agent = agents.create(fields)
        with sandbox.engine.lock:
            sandbox.agents[agent["agent_id"]] = agent
            sandbox.engine.store.put("agent", agent["agent_id"], agent)
            sandbox.engine.store.flush()
        return Reply({"status": "success", "agent": agents.shown(agent)})

    @on("POST", "/v1/agents/{agent_id}")
    async def update_agent(request: Request) -> Reply:
        agent_id = request.path_params["agent_id"]
        agent = sandbox.agents.get(agent_id)
        if agent is None:
            return _unknown()
        fields = await json_object(request)
        wrong = agents.problems(fields, creating=False)
        if wrong:
            failed = {name: fields.get(name) for name in wrong}
            return error(400, " ".join(wrong.values()), failed_updates=failed)
        with sandbox.engine.lock:
            updates = agents.update(agent, fields)
            sandbox.engine.store.put("agent", agent_id, agent)
            sandbox.engine.store.flush()
        return Reply({"status": "success", "message": f"Successfully updated agent {agent_id}.", "updates": updates})

    @on("POST", "/v1/agents/{agent_id}/authorize")
    async def authorize(request: Request) -> Reply:
        if request.path_params["agent_id"] not in sandbox.agents:
            return _unknown()
        return Reply({"status": "success", "message": "Successfully authorized agent.", "token": str(uuid.uuid4())})

    @on("GET", "/v1/agents/{agent_id}")
    async def get_agent(request: Request) -> Reply:
        agent = sandbox.agents.get(request.path_params["agent_id"])
        return _unknown() if agent is None else Reply({"agent": agents.shown(agent)})

    # The first is documented, the second is what clients try that have not read it.
    @on("POST", "/v1/agents/{agent_id}/delete")
    @on("DELETE", "/v1/agents/{agent_id}")
    async def delete_agent(request: Request) -> Reply:
        agent_id = request.path_params["agent_id"]
        with sandbox.engine.lock:
            if sandbox.agents.pop(agent_id, None) is None:
                return _unknown()
            sandbox.engine.store.delete("agent", agent_id)
        return Reply({"status": "success", "message": f"Successfully deleted agent {agent_id}"})


def _unknown() -> Reply:
    return error(404, "Agent not found")
