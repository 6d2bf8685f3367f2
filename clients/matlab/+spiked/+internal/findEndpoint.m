function [url, token] = findEndpoint(url, token)
% findEndpoint  Address and token of the daemon: as given, else of the environment, else of endpoint.json.
%
%   [url, token] = findEndpoint(url, token)   '' for what is not given
%
%   The token of endpoint.json goes to no other daemon than the one it was written by.
%   Errors: spiked:noDaemon if there is no address, spiked:invalid for one that is not tcp://HOST:PORT.

% SPDX-License-Identifier: BSD-3-Clause
path = fullfile(spiked.internal.runtimeDir(), 'endpoint.json');
endpoint = readEndpoint(path);
if isempty(url)
    url = getenv('SPIKED_URL');
end
if isempty(url)
    if ~isfield(endpoint, 'tcp') || ~ischar(endpoint.tcp) || isempty(endpoint.tcp)
        spiked.internal.fail('noDaemon', sprintf('no daemon found: there is no TCP address in %s', path), ...
            'start one with the command spiked; its option listen.tcp must not be off');
    end
    url = endpoint.tcp;
end
[host, port] = spiked.internal.splitUrl(url);
if isempty(token)
    token = getenv('SPIKED_TOKEN');
end
if isempty(token) && isfield(endpoint, 'tcp') && isfield(endpoint, 'token') && ischar(endpoint.tcp) && ~isempty(endpoint.tcp)
    [ownHost, ownPort] = spiked.internal.splitUrl(endpoint.tcp);
    if port == ownPort && (strcmp(host, ownHost) || strcmp(host, 'localhost'))
        token = endpoint.token;
    end
end
end

function endpoint = readEndpoint(path)
endpoint = struct();
try
    if spiked.internal.isOurs(path)
        endpoint = jsondecode(fileread(path));
    end
catch
    % The daemon stopped between two looks at the file, or it is not JSON: as if there were none.
end
end
