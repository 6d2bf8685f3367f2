function raiseReply(op, header)
% raiseReply  Raises the error that a reply header with another status than OK holds.
%
%   raiseReply(op, header)   op names the request in the text; the identifier is that of errorId

% SPDX-License-Identifier: BSD-3-Clause
message = header.status;
hint = '';
if isfield(header, 'error') && isstruct(header.error)
    e = header.error;
    if isfield(e, 'message')
        message = e.message;
    end
    if isfield(e, 'hint')
        hint = e.hint;
    end
    if isfield(e, 'incident')
        if isnumeric(e.incident)
            e.incident = sprintf('%.0f', e.incident);
        end
        message = sprintf('%s; incident %s in the daemon''s log', message, e.incident);
    end
end
spiked.internal.fail(spiked.internal.errorId(header.status), [op ': ' message], hint);
end
