function directory = runtimeDir()
% runtimeDir  Where this user's daemon keeps endpoint.json: SPIKED_RUNTIME_DIR, else XDG_RUNTIME_DIR/spiked, else /tmp/spiked-UID.

% SPDX-License-Identifier: BSD-3-Clause
if ~isempty(getenv('SPIKED_RUNTIME_DIR'))
    directory = getenv('SPIKED_RUNTIME_DIR');
elseif ~isempty(getenv('XDG_RUNTIME_DIR'))
    directory = fullfile(getenv('XDG_RUNTIME_DIR'), 'spiked');
elseif spiked.internal.isOctave()
    directory = sprintf('/tmp/spiked-%d', geteuid());
else
    [~, uid] = system('id -u');
    directory = ['/tmp/spiked-' strtrim(uid)];
end
end
