classdef Socket < handle
% Socket  One SP connection (REQ over TCP) to a daemon.
%
%   s = Socket(url)        connects and shakes hands; errors spiked:noDaemon, spiked:protocol, spiked:unsupported
%   s.begin()              a frame is about to be sent
%   s.put(bytes)           sends all of a uint8 row
%   s.get(n, seconds)      receives exactly n bytes, as a uint8 row
%   s.finish()             the reply was read to its end
%   s.abandon()            closes the socket unless finish came after begin
%   s.close()              never throws
%
%   A frame that was begun is finished or the socket is closed: an interrupted one is never used again.
%   Errors of put and get: spiked:connectionLost, and spiked:deadline when nothing came in time.

% SPDX-License-Identifier: BSD-3-Clause

    properties (SetAccess = private)
        url = ''
        isOpen = false
    end

    properties (Access = private)
        device = []
        isBusy = false
    end

    methods
        function obj = Socket(url)
            seconds = 10;
            [host, port] = spiked.internal.splitUrl(url);
            obj.url = url;
            try
                obj.device = spiked.internal.makeDevice(host, port, seconds);
            catch e
                if strncmp(e.identifier, 'spiked:', 7)
                    rethrow(e);
                end
                spiked.internal.fail('noDaemon', sprintf('no daemon answers at %s: %s', url, strtrim(e.message)), 'start one with the command spiked');
            end
            obj.isOpen = true;
            obj.begin();
            guard = onCleanup(@() abandon(obj));
            obj.put(spiked.internal.handshake('REQ'));
            if ~isequal(obj.get(8, seconds), spiked.internal.handshake('REP'))
                spiked.internal.fail('protocol', sprintf('%s is not an SP REP endpoint', url), 'is it the address of a spiked daemon?');
            end
            obj.finish();
        end

        function delete(obj)
            try
                obj.isOpen = false;
                obj.device = [];
            catch
                % Octave exits and has taken the class apart already; the socket closes with its last reference.
            end
        end

        function begin(obj)
            obj.isBusy = true;
        end

        function finish(obj)
            obj.isBusy = false;
        end

        function abandon(obj)
            if obj.isBusy
                close(obj);
            end
        end

        function close(obj)
            obj.isOpen = false;
            obj.device = [];    % both tcpclients close when their last reference goes
        end

        function put(obj, bytes)
            message = '';
            try
                if spiked.internal.isOctave()
                    whole = write(obj.device, bytes) == numel(bytes);
                else
                    write(obj.device, bytes, 'uint8');
                    whole = true;
                end
            catch e
                whole = false;
                message = e.message;
            end
            if ~whole
                obj.lost(message);
            end
        end

        function bytes = get(obj, n, seconds)
            piece = spiked.internal.pieceBytes();
            if n <= piece
                bytes = obj.getPiece(n, seconds);
                return
            end
            bytes = zeros(1, n, 'uint8');
            for i = 1:piece:n
                last = min(i + piece - 1, n);
                bytes(i:last) = obj.getPiece(last - i + 1, seconds);
            end
        end
    end

    methods (Access = private)
        function bytes = getPiece(obj, n, seconds)
            % Octave is asked again each second, so that Ctrl-C is heard. It returns what came in time, or throws once the daemon is gone.
            slice = 1;
            if ~spiked.internal.isOctave()
                slice = 86400;
            end
            bytes = zeros(1, 0, 'uint8');
            started = tic();
            while numel(bytes) < n
                left = seconds - toc(started);
                if left <= 0
                    spiked.internal.fail('deadline', sprintf('%s did not answer within %g s', obj.url, seconds), 'give a longer Timeout');
                end
                some = obj.readSome(n - numel(bytes), min(left, slice));
                if isempty(bytes)
                    bytes = some;
                else
                    bytes = [bytes some]; %#ok<AGROW>
                end
            end
        end

        function bytes = readSome(obj, n, seconds)
            message = '';
            bytes = [];
            try
                device = obj.device;
                device.Timeout = max(seconds, 0.001);
                bytes = read(device, n, 'uint8');
            catch e
                message = e.message;
            end
            if ~isempty(message)
                obj.lost(message);
            end
            bytes = reshape(uint8(bytes), 1, []);    % MATLAB returns double
        end

        function lost(obj, message)
            if ~isempty(message)
                message = [': ' strtrim(message)];
            end
            spiked.internal.fail('connectionLost', sprintf('the connection to %s broke%s', obj.url, message), ...
                'is the daemon still running? its log says why it closes a connection');
        end
    end
end
