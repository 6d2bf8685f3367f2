classdef Pipe < handle
% Pipe  A socket that is a row of bytes: put appends to it, get takes from its start.

% SPDX-License-Identifier: BSD-3-Clause

    properties
        bytes = zeros(1, 0, 'uint8')
        puts = 0    % calls of put
    end

    methods
        function obj = Pipe(bytes)
            if nargin > 0
                obj.bytes = bytes;
            end
        end

        function put(obj, more)
            obj.bytes = [obj.bytes more];
            obj.puts = obj.puts + 1;
        end

        function some = get(obj, n, ~)
            if n > numel(obj.bytes)
                error('pipe:short', '%d bytes wanted, %d left', n, numel(obj.bytes));
            end
            some = obj.bytes(1:n);
            obj.bytes(1:n) = [];
        end
    end
end
