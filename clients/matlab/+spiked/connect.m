function sp = connect(varargin)
% connect  Connect to a running daemon: the same as spiked.Client(...).
%
%   sp = spiked.connect()
%   sp = spiked.connect('Url', 'tcp://127.0.0.1:5570', 'Token', token, 'Timeout', 60)
%
%   See also spiked.Client

% SPDX-License-Identifier: BSD-3-Clause
sp = spiked.Client(varargin{:});
end
